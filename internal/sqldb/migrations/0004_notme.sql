-- +goose Up
-- account: what a link "this wasn't me" takes away again, the id of a factor or of a device; empty: nothing
alter table links add column about text not null default '';
