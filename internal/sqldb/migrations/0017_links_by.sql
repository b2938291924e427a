-- +goose Up
-- account: who asked for a change of somebody else's address; it is confirmed only as long as they still may
alter table links add column by_id text not null default '';
-- license: the requests of somebody who goes
create index seat_requests_account on seat_requests (account_id);
