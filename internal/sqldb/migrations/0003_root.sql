-- +goose Up
-- An installation has one provider, also when it is founded twice at the same moment.
create unique index org_nodes_root on org_nodes (kind) where kind = 'provider';
