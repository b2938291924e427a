-- +goose Up
-- account: people of the whole installation, by the beginnings of their addresses and names
create index accounts_address on accounts (email_key, id);
create index accounts_named on accounts (lower(case when name = '' then email_key else name end), id);
