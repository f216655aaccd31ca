"""The API, a module for each thing it shows. Each ends in a table of its routes."""
