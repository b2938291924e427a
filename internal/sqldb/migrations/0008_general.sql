-- +goose Up
-- account: who asks for their organisations has an address and nothing else
create index accounts_email on accounts (email_key, id);
