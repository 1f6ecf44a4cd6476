-- For a local stack only: one mailbox, one project, and whoever writes from example.com may target it.
select public.create_mailbox_v1('specs@example.com');
select public.create_project_v1('{"repo": "example/hello", "name": "Hello"}');
select public.allow_sender_v1('*@example.com', 'example/hello', '{}');
