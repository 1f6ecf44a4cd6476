-- Postgres holds NaN to be more than every number: one such cost, and no limit that counts it would hold any more.
alter table public.ledger
    drop constraint ledger_cost_usd_check,
    add constraint ledger_cost_usd_check check (cost_usd >= 0 and cost_usd < 'NaN');
