-- Secrets, and what masking changed; all values are AES-256-GCM.

-- The one key that everything below is encrypted with; the key itself is never in the store.
create table secret_key (
  id integer primary key check (id = 1),
  key_id text not null,
  source text not null check (source in ('file', 'hex', 'passphrase')),
  -- Of a passphrase's scrypt, in hex.
  salt text,
  created_at integer not null
) strict;

create table secrets (
  name text primary key,
  key_id text not null,
  nonce blob not null check (length(nonce) = 12),
  ciphertext blob not null,
  created_at integer not null,
  updated_at integer not null,
  "by" text not null
) strict;

-- What a fold needs and no event may show. `task` is empty and `item_index` −1 where there is none.
create table sealed_values (
  execution_id text not null,
  task text not null,
  item_index integer not null,
  member text not null,
  key_id text not null,
  nonce blob not null check (length(nonce) = 12),
  ciphertext blob not null,
  primary key (execution_id, task, item_index, member)
) strict;
