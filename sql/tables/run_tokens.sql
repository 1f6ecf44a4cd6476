-- GitHub's identity tokens that were exchanged for a run's token: each serves once.

create table private.exchanged_identities (
    issuer text not null check (length(issuer) between 1 and 500),
    jti text not null check (length(jti) between 1 and 200),
    run_id uuid not null references public.runs (id) on delete cascade,
    -- The token that was minted for it: what revoke_run_tokens_v1 revokes, and what makes a repeated claim the same claim.
    token_jti uuid not null unique,
    -- Until then neither the identity nor the minted token has expired; afterwards the row protects nothing.
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    -- The rule itself: of any number of callers with one identity, one gets the row.
    primary key (issuer, jti)
);
-- Serves revoke_run_tokens_v1.
create index idx_exchanged_identities_run_id on private.exchanged_identities (run_id);
-- Serves the sweep in claim_identity_v1.
create index idx_exchanged_identities_expires_at on private.exchanged_identities (expires_at);
alter table private.exchanged_identities enable row level security;
revoke all on table private.exchanged_identities from public, anon, authenticated, service_role;
