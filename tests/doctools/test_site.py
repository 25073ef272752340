"""The addresses from which the pages of the site fetch."""

from pathlib import Path

from doctools.site import fetched_from_elsewhere


def test_what_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    """Scripts, styles, fonts and pictures of others are found; links to follow are not."""
    folder = tmp_path / "guide"
    folder.mkdir()
    (folder / "index.html").write_text(
        """
        <link rel="canonical" href="https://docs.example.org/guide/">
        <link rel="stylesheet" href="https://fonts.example.org/inter.css">
        <link rel="stylesheet" href="../assets/main.css">
        <script src="//cdn.example.org/a.js"></script>
        <a href="https://spec.matrix.org/">the specification</a>
        <img src="../assets/timeline.svg">
        <pre class="mermaid">graph</pre>
        """
    )

    assert list(fetched_from_elsewhere(tmp_path)) == [
        "guide/index.html: <link> https://fonts.example.org/inter.css",
        "guide/index.html: <script> //cdn.example.org/a.js",
        "guide/index.html: <pre> of class mermaid",
    ]
