-- Triggers for the user's own tables: seal_row() seals a column, and idempotent_insert() inserts each (sender, txn)
-- once.

-- The ids are sealed as text, which must not depend on the settings of the session.
create function sealcast.seal_row() returns trigger
  language c
  set search_path = pg_catalog, pg_temp set datestyle = 'ISO' set intervalstyle = 'postgres' set timezone = 'UTC'
  set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
  as 'MODULE_PATHNAME', 'sealcast_seal_row';
comment on function sealcast.seal_row() is
  'Trigger BEFORE INSERT FOR EACH ROW that seals a column. Arguments: (sealed column, message type or :column, stream column, sender column, txn column [, payload column])';

-- The key of a row is a digest of the values of its sender column and its txn column, see row_key().
create table sealcast_internal.row_keys (
  table_id regclass not null,
  key bytea not null,
  primary key (table_id, key)
);
comment on table sealcast_internal.row_keys is 'The keys of the rows that idempotent_insert() has let through';

create function sealcast.idempotent_insert() returns trigger
  language c as 'MODULE_PATHNAME', 'sealcast_idempotent_insert';
comment on function sealcast.idempotent_insert() is
  'Trigger BEFORE INSERT FOR EACH ROW that skips a row whose key was inserted before. Arguments: (sender column, txn column)';

-- The internal triggers of each table with idempotent_insert() call it, see extension/triggers/companions.h.
create function sealcast_internal.row_companion() returns trigger
  language c as 'MODULE_PATHNAME', 'sealcast_row_companion';

-- Returns the key of a row; null if a value is null. Equal values have one key, whatever the settings of the session.
create function sealcast_internal.row_key(sender "any", txn "any") returns bytea
  language c stable as 'MODULE_PATHNAME', 'sealcast_row_key';

create function sealcast_internal.row_key_query(relation oid) returns text
  language c stable strict as 'MODULE_PATHNAME', 'sealcast_row_key_query';

create function sealcast_internal.attach_row_companions(relation oid, wait boolean) returns boolean
  language c strict as 'MODULE_PATHNAME', 'sealcast_attach_row_companions';

-- Returns the tables that have one of the two triggers. A trigger depends on its function, and pg_depend has an index
-- for that; pg_trigger has none.
create function sealcast_internal.tables_with_row_triggers() returns setof oid
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select distinct t.tgrelid from pg_depend d join pg_trigger t on t.oid = d.objid
  where d.refclassid = 'pg_proc'::regclass and d.classid = 'pg_trigger'::regclass
    and d.refobjid in ('sealcast.idempotent_insert()'::regprocedure, 'sealcast.seal_row()'::regprocedure);
end;

-- Checks the triggers of the tables that a command has changed, and makes the internal triggers. It does the same for
-- other tables that it can lock at once: DETACH PARTITION names the partitioned table alone.
create function sealcast_internal.after_ddl() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation oid;
  changed oid[];
begin
  for relation in select r from sealcast_internal.tables_with_row_triggers() r loop
    if changed is null then
      changed := array(
        select coalesce(pg_partition_root(c.id)::oid, c.id)
        from (select case when e.classid = 'pg_class'::regclass then e.objid
                          when e.classid = 'pg_trigger'::regclass then
                            (select t.tgrelid from pg_trigger t where t.oid = e.objid) end as id
              from pg_event_trigger_ddl_commands() e) c
        where c.id is not null);
    end if;
    if coalesce(pg_partition_root(relation)::oid, relation) = any (changed) then
      perform sealcast_internal.attach_row_companions(relation, true);
    else
      begin
        perform sealcast_internal.attach_row_companions(relation, false);
      exception when others then
        null;
      end;
    end if;
  end loop;
end $$;
create event trigger sealcast_row_triggers on ddl_command_end
  when tag in ('CREATE TRIGGER', 'ALTER TRIGGER', 'CREATE TABLE', 'ALTER TABLE', 'ALTER FOREIGN TABLE')
  execute function sealcast_internal.after_ddl();
alter event trigger sealcast_row_triggers enable always;

-- pg_upgrade makes event triggers last, and a superuser can disable them. Then this function makes the internal
-- triggers.
create function sealcast.repair_row_triggers() returns table (action text, object text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation oid;
begin
  for relation in select r from sealcast_internal.tables_with_row_triggers() r loop
    object := 'internal triggers of ' || relation::regclass;
    begin
      action := case sealcast_internal.attach_row_companions(relation, false)
                  when true then 'created' when false then null else 'postponed' end;
    exception when others then
      action := 'failed'; object := object || ': ' || sqlerrm;
    end;
    if action is not null then
      return next;
    end if;
  end loop;
end $$;
comment on function sealcast.repair_row_triggers() is
  'Makes the internal triggers of tables with idempotent_insert() where they are missing, and learns the keys of the rows. maintain() calls it';

-- Returns the keys that no row has. A dump has only these: the other keys come with the rows, in any order.
create function sealcast_internal.keys_without_row() returns table (table_id regclass, key bytea)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  root regclass;
  queries text;
begin
  for root in select distinct k.table_id from sealcast_internal.row_keys k where k.table_id in (select c.oid from pg_class c) loop
    -- Each partition by itself: a foreign partition is not read, so its keys are dumped.
    queries := case when exists (select from pg_partition_tree(root)) then (
        select string_agg(sealcast_internal.row_key_query(p.relid), ' union all ') from pg_partition_tree(root) p where p.isleaf)
      else sealcast_internal.row_key_query(root) end;
    if queries is null then
      return query select k.table_id, k.key from sealcast_internal.row_keys k where k.table_id = root;
    else
      return query execute format('select k.table_id, k.key from sealcast_internal.row_keys k where k.table_id = %s
        and not exists (select from (%s) q where q.key = k.key)', root::oid, queries);
    end if;
  end loop;
end $$;
