-- +goose Up
-- account: a linked account has its home in an organisation above; an exception from the second factor always ends
alter table accounts add column home_id text;
alter table accounts add column exempt_until bigint not null default 0;
alter table accounts add column exempt_reason text not null default '';
create unique index accounts_home on accounts (home_id, org_id) where home_id is not null;

-- signin: a linked account's session stands on the session of its home account
alter table sessions add column via_id text;
create index sessions_via on sessions (via_id) where via_id is not null;

-- signin: where people go, for the chooser
create table visits (
  account_id text not null references accounts (id) on delete cascade,
  org_id text not null references org_nodes (id),
  at bigint not null,
  primary key (account_id, org_id)
);
create index visits_recent on visits (account_id, at);

-- signin: what the rules found when every account of an organisation was last judged
create table org_health (
  org_id text primary key references org_nodes (id),
  people bigint not null,
  covered bigint not null,
  pending bigint not null,
  overdue bigint not null,
  exempt bigint not null,
  last_sign_in_at bigint not null,
  deadline_at bigint not null,
  judged_at bigint not null
);
create index org_health_judged on org_health (judged_at);

-- signin: reminders that went out, once for each deadline and distance
create table reminders (
  account_id text not null references accounts (id) on delete cascade,
  org_id text not null references org_nodes (id),
  deadline_at bigint not null,
  days bigint not null,
  sent_at bigint not null,
  primary key (account_id, deadline_at, days)
);
create index reminders_org on reminders (org_id, account_id);
