-- The one way in which an object leaves a bucket.

grant execute on function private.may_remove_object(text, text, timestamptz) to aicd_functions;

-- tick removes what retention has marked, and nothing else.
create policy "functions remove marked objects" on storage.objects for delete to aicd_functions
    using (bucket_id in ('specs', 'artifacts', 'sessions') and (select private.token_is_live())
        and private.may_remove_object(bucket_id, name, created_at));
