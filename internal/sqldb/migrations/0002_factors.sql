-- +goose Up
-- signin: the browsers that an account was used from; trusted_until is when a remembered one stops sparing the second factor
create table devices (
  id text primary key,
  org_id text not null references org_nodes (id),
  account_id text not null references accounts (id) on delete cascade,
  secret_hash bytea not null,
  user_agent text not null,
  address text not null,
  seq bigint not null,
  trusted_until bigint not null,
  created_at bigint not null,
  last_used_at bigint not null,
  unique (secret_hash, account_id)
);
create index devices_account on devices (account_id);
create index devices_secret on devices (secret_hash);

-- account: how often, and when last, a passkey was offered
alter table accounts add column offers bigint not null default 0;
alter table accounts add column offered_at bigint not null default 0;
