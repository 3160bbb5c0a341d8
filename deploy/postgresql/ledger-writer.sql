-- What the role `ledger_writer` may do in the ledger's schema: read all, add to it, and change
-- nothing that is proved. AUDIT_DATABASE_URL of the API and the worker names a user who has it; the
-- tables stay with the user by whom `countersign migrate audit` is run. To be run after each migration:
--
--   psql --command "CREATE ROLE ledger_writer LOGIN PASSWORD '…'" "$OWNER_URL"
--   psql --file ledger-writer.sql "$OWNER_URL"

DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO ledger_writer', current_schema());
END $$;

-- What is hashed or signed is added, and that is all.
GRANT SELECT, INSERT ON entries, leaves, checkpoints, deliveries TO ledger_writer;

-- Keys of people are made and destroyed; who was forgotten stays so.
GRANT SELECT, INSERT ON people TO ledger_writer;
GRANT UPDATE (sealed_key, forgotten_at) ON people TO ledger_writer;

-- Counts, the outbox, and what a migration has set aside to be sealed.
GRANT SELECT, INSERT, UPDATE ON sources TO ledger_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO ledger_writer;
GRANT SELECT, UPDATE ON outbox_source TO ledger_writer;
GRANT USAGE ON SEQUENCE outbox_seq_seq TO ledger_writer;
GRANT SELECT, DELETE ON unsealed TO ledger_writer;
GRANT SELECT ON alembic_version TO ledger_writer;

-- Room for a month that is to come; events that are not kept any more, of which the entries stay.
GRANT EXECUTE ON FUNCTION ledger_since(), ledger_make_room(bigint) TO ledger_writer;
GRANT EXECUTE ON FUNCTION ledger_drop_events(text, bigint, integer) TO ledger_writer;
