-- +goose Up
-- what an organisation looks like: the hash of its picture, its accent colour in light and in dark; empty: none of its own
alter table orgs add column logo text not null default '';
alter table orgs add column accent text not null default '';
alter table orgs add column accent_dark text not null default '';
-- pictures apart, so that a row of orgs stays small: png is for pages, small for mails
create table org_logos (
  org_id text primary key references orgs (id) on delete cascade,
  hash text not null unique,
  png bytea not null,
  small bytea not null
);
