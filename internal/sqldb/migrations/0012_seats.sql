-- +goose Up
-- license: the most seats that an organisation had in use in a month (of UTC), and how many it began the month with; a row comes with the month's
-- first change
create table seat_marks (
  org_id text not null references org_nodes (id),
  month text not null,
  began bigint not null,
  most bigint not null,
  primary key (org_id, month)
);
-- license: requests for more seats; account_id is who asked, and outlives the account
create table seat_requests (
  id text primary key,
  org_id text not null references org_nodes (id),
  state text not null,
  wanted bigint not null,
  reason text not null,
  account_id text not null,
  made_at bigint not null,
  answered_at bigint not null default 0,
  answer text not null default ''
);
create unique index seat_requests_open on seat_requests (org_id) where state = 'open';
create index seat_requests_of on seat_requests (org_id, made_at);
