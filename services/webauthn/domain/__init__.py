"""The rules of WebAuthn (Level 3, sections 7.1 and 7.2). Pure: no clock, database or network."""
