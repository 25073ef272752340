"""Other modules in the place of those that are asked, part by part."""
