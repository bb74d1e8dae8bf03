"""Results: the schema, and what is made from it (tables, JUnit, TAP, HTML)."""
