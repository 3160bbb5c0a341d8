#!/bin/sh
# Makes a database for each service, and a user who can reach that one and no other.
# PostgreSQL's image runs this once, on an empty data folder. Run again, for a service that came
# later, it makes what is missing:
#
#   docker compose up --detach postgresql
#   docker compose exec postgresql sh /docker-entrypoint-initdb.d/databases.sh
set -eu

make_database() { # NAME PASSWORD
    psql --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
        --set=name="$1" --set=password="$2" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'name', :'password')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database session "$SESSION_DATABASE_PASSWORD"
make_database totp "$TOTP_DATABASE_PASSWORD"
make_database recovery "$RECOVERY_DATABASE_PASSWORD"
make_database audit "$AUDIT_DATABASE_PASSWORD"
make_database webauthn "$WEBAUTHN_DATABASE_PASSWORD"
