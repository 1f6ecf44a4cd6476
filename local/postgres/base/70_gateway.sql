-- The one thing that the gateway reads for nobody in particular: the account behind a token.

create function local_guard.find_user(p_id uuid) returns json
language sql stable security definer set search_path = '' as $$
    select json_build_object(
        'id', u.id,
        'aud', coalesce(u.aud, 'authenticated'),
        'role', coalesce(u.role, 'authenticated'),
        'email', u.email,
        'phone', coalesce(u.phone, ''),
        'email_confirmed_at', u.email_confirmed_at,
        'confirmed_at', u.confirmed_at,
        'last_sign_in_at', u.last_sign_in_at,
        'app_metadata', coalesce(u.raw_app_meta_data, '{}'),
        'user_metadata', coalesce(u.raw_user_meta_data, '{}'),
        'identities', json_build_array(),
        'created_at', coalesce(u.created_at, 'epoch'),
        'updated_at', u.updated_at,
        'is_anonymous', u.is_anonymous
    )
    from auth.users u where u.id = p_id and u.deleted_at is null
$$;
revoke execute on function local_guard.find_user(uuid) from public;
grant execute on function local_guard.find_user(uuid) to authenticator;
