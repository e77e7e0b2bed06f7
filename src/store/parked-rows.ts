/**
 * What depends on the storage driver, for each driver that a data root has had: the rows of images, layers and
 * containers are put aside under the driver's name when another takes over, and come back with it. All in one
 * transaction. Copies of tables rather than a column in each: nobody else's query has to know.
 *
 * A migration that changes one of these tables' rows has to treat the tables `parked_*` too; added columns need
 * nothing, as a row comes back with what the columns of both have.
 */
import { textColumn, type Database } from './database.ts'

/** Tables whose rows depend on the driver; those that others refer to come last. */
const tables = ['image_references', 'images', 'layers', 'containers'] as const
const activeKey = 'storage-driver'

/** Makes `driver` the active one: puts the rows of the former aside and brings its own back, if it has any. */
export function activateDriver(database: Database, driver: string): void {
  const row = database.get('SELECT value FROM settings WHERE key = ?', activeKey)
  const before = row === undefined ? undefined : textColumn(row, 'value')
  if (before === driver) return
  database.transaction(() => {
    database.run('PRAGMA defer_foreign_keys = ON')
    if (before !== undefined) for (const table of tables) park(database, table, before)
    for (const table of tables.toReversed()) bringBack(database, table, driver)
    database.run(
      'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      activeKey,
      driver,
    )
  })
}

/** The column of all rows of a table that are put aside. */
export function parkedValues(
  database: Database,
  table: (typeof tables)[number],
  column: 'id' | 'record',
): string[] {
  return parkedTables(database, table).flatMap((name) =>
    database.all(`SELECT ${column} FROM "${name}"`).map((row) => textColumn(row, column)),
  )
}

function park(database: Database, table: string, driver: string): void {
  database.run(`DROP TABLE IF EXISTS "${parkedName(table, driver)}"`)
  database.run(`CREATE TABLE "${parkedName(table, driver)}" AS SELECT * FROM ${table}`)
  database.run(`DELETE FROM ${table}`)
}

function bringBack(database: Database, table: string, driver: string): void {
  const parked = parkedName(table, driver)
  if (!parkedTables(database, table).includes(parked)) return
  const known = new Set(columnsOf(database, table))
  const columns = columnsOf(database, parked).filter((column) => known.has(column))
  const list = columns.map((column) => `"${column}"`).join(', ')
  database.run(`INSERT INTO ${table} (${list}) SELECT ${list} FROM "${parked}"`)
  database.run(`DROP TABLE "${parked}"`)
}

function parkedName(table: string, driver: string): string {
  return `parked_${table}_${driver.replaceAll(/[^a-z0-9]/g, '_')}`
}

function parkedTables(database: Database, table: string): string[] {
  const prefix = `parked_${table}_`
  return database
    .all("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .map((row) => textColumn(row, 'name'))
    .filter((name) => name.startsWith(prefix))
}

function columnsOf(database: Database, table: string): string[] {
  return database.all(`SELECT name FROM pragma_table_info('${table}')`).map((row) => textColumn(row, 'name'))
}
