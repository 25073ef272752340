-- What an administrator of PostgreSQL does once, in psql: a user, and a database of its own.
-- Lamplighter makes the tables in it at the first start.
CREATE ROLE lamplighter LOGIN PASSWORD 'secret';
CREATE DATABASE lamplighter OWNER lamplighter ENCODING 'UTF8' TEMPLATE template0;
