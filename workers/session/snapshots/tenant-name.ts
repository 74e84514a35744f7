/** Whose object this is: the name that it is called by, written down because an object that an alarm starts may not be told. */
export function tenantName({ id, storage }: DurableObjectState): string | undefined {
  const { sql } = storage;
  sql.exec("CREATE TABLE IF NOT EXISTS tenant (name TEXT PRIMARY KEY) WITHOUT ROWID");
  if (id.name !== undefined) sql.exec("INSERT OR IGNORE INTO tenant (name) VALUES (?)", id.name);
  return sql.exec<{ name: string }>("SELECT name FROM tenant").toArray()[0]?.name;
}
