-- The API's reads are executed as the member who asks.

grant execute on function private.state_of(text[]), private.open_questions(public.sprints) to authenticated;
