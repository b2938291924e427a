-- +goose Up
-- account: when somebody who is being deleted goes, and the state they were in before and come back to when they are kept
alter table accounts add column delete_at bigint not null default 0;
alter table accounts add column kept_state text not null default '';
create index accounts_delete on accounts (delete_at) where delete_at > 0;
-- audit: what somebody did, to take their name and addresses out of it
create index events_actor on events (actor_id, id) where actor_id <> '';
