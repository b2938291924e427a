-- +goose Up
-- account: customers on their way to another MSP. Who confirmed for each side, and when; 0: not yet. reason and ended_reason are what people typed
create table moves (
  id text primary key,
  org_id text not null references org_nodes (id),
  from_id text not null references org_nodes (id),
  to_id text not null references org_nodes (id),
  state text not null,
  reason text not null,
  started_by text not null,
  giver_by text not null,
  giver_at bigint not null,
  receiver_by text not null,
  receiver_at bigint not null,
  customer_by text not null,
  customer_at bigint not null,
  ended_side text not null,
  ended_reason text not null,
  ended_at bigint not null,
  created_at bigint not null,
  expires_at bigint not null
);
create unique index moves_open on moves (org_id) where state = 'open';
create index moves_state on moves (state, id);
create index moves_org on moves (org_id);
create index moves_from on moves (from_id);
create index moves_to on moves (to_id);
