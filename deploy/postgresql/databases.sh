#!/bin/sh
# Makes a database for each service, and a user who can reach that one and no other.
# PostgreSQL's image runs this once, on an empty data folder.
set -eu

make_database() { # NAME PASSWORD
    psql --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
        --set=name="$1" --set=password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database session "$SESSION_DATABASE_PASSWORD"
make_database totp "$TOTP_DATABASE_PASSWORD"
make_database audit "$AUDIT_DATABASE_PASSWORD"
make_database webauthn "$WEBAUTHN_DATABASE_PASSWORD"
