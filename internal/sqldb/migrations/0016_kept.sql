-- +goose Up
-- access: what an organisation that is being deleted was before, and is again when that is cancelled; empty: active
alter table org_nodes add column kept_state text not null default '';
-- account: what the sides of a move were called when it was made; later names are nobody else's business
alter table moves add column customer_name text not null default '';
alter table moves add column from_name text not null default '';
alter table moves add column to_name text not null default '';
update moves set customer_name = (select name from orgs where id = moves.org_id), from_name = (select name from orgs where id = moves.from_id),
  to_name = (select name from orgs where id = moves.to_id);
