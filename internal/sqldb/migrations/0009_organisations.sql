-- +goose Up
-- org: rev counts changes of the profile; delete_at is when an organisation that is being deleted goes
alter table orgs add column rev bigint not null default 0;
alter table orgs add column delete_at bigint not null default 0;
create index orgs_delete on orgs (delete_at) where delete_at > 0;
create table org_tags (
  org_id text not null references orgs (id) on delete cascade,
  tag_key text not null,
  tag text not null,
  primary key (org_id, tag_key)
);
create index org_tags_key on org_tags (tag_key, org_id);
-- tenant domains of organisations that are gone: nobody else gets them for a while
create table slugs_gone (slug_key text primary key, until bigint not null);
create index attempts_org on attempts (org_id);
create index visits_org on visits (org_id);
create index outbox_org on outbox (org_id, id);
-- what refers to an organisation is found when it goes
create index links_org on links (org_id);
create index sessions_org on sessions (org_id);
create index devices_org on devices (org_id);
create index org_group_orgs_org on org_group_orgs (org_id);
create index org_group_accounts_org on org_group_accounts (org_id);
create index factors_of on factors (org_id);
create index org_groups_org on org_groups (org_id);
