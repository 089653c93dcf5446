package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"
)

// Rows are pointers to structs of rows.go, all of one type in a call; what is written is what bun would write.

// insertRows inserts rows, several with a statement.
func insertRows(ctx context.Context, tx bun.Tx, rows []any) error {
	if len(rows) == 0 {
		return nil
	}
	table := tableOf(tx, rows[0])
	fields := slices.DeleteFunc(slices.Clone(table.Fields), func(f *schema.Field) bool { return f.AutoIncrement })
	gen := schema.NewQueryGen(tx.Dialect())
	head := append([]byte("INSERT INTO "), table.SQLName...)
	for i, f := range fields {
		head = append(append(head, between(i, " (", ", ")...), f.SQLName...)
	}
	head = append(head, ") VALUES"...)
	for some := range slices.Chunk(rows, rowsTogether(tx, len(fields))) {
		statement := slices.Clone(head)
		for i, row := range some {
			statement = append(statement, between(i, " ", ", ")...)
			v := reflect.ValueOf(row).Elem()
			for j, f := range fields {
				statement = f.AppendValue(gen, append(statement, between(j, "(", ", ")...), v)
			}
			statement = append(statement, ')')
		}
		if _, err := tx.ExecContext(ctx, string(statement)); err != nil {
			return err
		}
	}
	return nil
}

// rowsTogether is how many rows one statement has: on SQLite no more than can be parameters, so that the statement is
// known the next time; on PostgreSQL a round trip costs more than parsing.
func rowsTogether(tx bun.Tx, columns int) int {
	if tx.Dialect().Name() == dialect.PG {
		return 500
	}
	return max(1, mostLifted/columns)
}

// change is a row as it was and as it is to be.
type change struct{ before, after any }

// updateRows writes the columns that differ. Rows that change alike, as all members of a pool do when a batch is applied,
// are changed by one statement.
func updateRows(ctx context.Context, tx bun.Tx, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	table := tableOf(tx, changes[0].after)
	gen := schema.NewQueryGen(tx.Dialect())
	ids := map[string][]string{} // of the rows that get the same values; ids are literals
	var sets []string            // in the order of their first rows
	var was, is []byte
	for _, c := range changes {
		var set []byte
		before, after := reflect.ValueOf(c.before).Elem(), reflect.ValueOf(c.after).Elem()
		for _, f := range table.DataFields {
			was, is = f.AppendValue(gen, was[:0], before), f.AppendValue(gen, is[:0], after)
			if string(was) != string(is) {
				set = append(append(append(append(set, between(len(set), " SET ", ", ")...), f.SQLName...), " = "...), is...)
			}
		}
		if len(set) == 0 {
			continue
		}
		if ids[string(set)] == nil {
			sets = append(sets, string(set))
		}
		id := table.PKs[0].AppendValue(gen, nil, after)
		ids[string(set)] = append(ids[string(set)], string(id))
	}
	for _, set := range sets {
		for some := range slices.Chunk(ids[set], mostLifted/2) {
			statement := append(append([]byte("UPDATE "), table.SQLName...), set...)
			statement = append(append(append(statement, " WHERE "...), table.PKs[0].SQLName...), " IN "...)
			for i, id := range some {
				statement = append(append(statement, between(i, "(", ", ")...), id...)
			}
			if _, err := tx.ExecContext(ctx, string(append(statement, ')'))); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteRows removes rows by their keys.
func deleteRows(ctx context.Context, tx bun.Tx, rows []any) error {
	if len(rows) == 0 {
		return nil
	}
	table := tableOf(tx, rows[0])
	gen := schema.NewQueryGen(tx.Dialect())
	for some := range slices.Chunk(rows, mostLifted/2) {
		statement := append(append([]byte("DELETE FROM "), table.SQLName...), " WHERE "...)
		statement = append(append(statement, table.PKs[0].SQLName...), " IN "...)
		for i, row := range some {
			statement = append(statement, between(i, "(", ", ")...)
			statement = table.PKs[0].AppendValue(gen, statement, reflect.ValueOf(row).Elem())
		}
		if _, err := tx.ExecContext(ctx, string(append(statement, ')'))); err != nil {
			return err
		}
	}
	return nil
}

// tableOf is the table of a row; those of this file have one key.
func tableOf(tx bun.Tx, row any) *schema.Table {
	table := tx.Dialect().Tables().Get(reflect.TypeOf(row))
	if len(table.PKs) != 1 {
		panic(fmt.Sprintf("table %s has %d key columns", table.Name, len(table.PKs)))
	}
	return table
}

// between is first before the first of several, else next.
func between(i int, first, next string) string {
	if i == 0 {
		return first
	}
	return next
}
