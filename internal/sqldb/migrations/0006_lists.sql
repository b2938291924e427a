-- +goose Up
-- account: the orders in which the people of an organisation are listed; lower() of text that is compared bytewise changes ASCII letters alone
create index accounts_seen on accounts (org_id, last_sign_in_at, id);
create index accounts_created on accounts (org_id, id);

-- account: all that a narrowed list asks of an account; the name itself lets PostgreSQL read nothing but the index
create index accounts_list on accounts (org_id, lower(case when name = '' then email_key else name end), id, email_key, state, last_sign_in_at, home_id, name);
create index factors_org on factors (org_id, kind, account_id) where state = 'active';
