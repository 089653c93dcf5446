package store

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// Connections on which a statement is parsed and planned once, whatever its values. bun writes values into the
// statement's text; here they are taken out of it again.

// liftingPostgres makes PostgreSQL's connections such ones. pgx remembers prepared statements by their text.
type liftingPostgres struct{ driver.Connector }

// Connect makes a connection.
func (p liftingPostgres) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a connection of pgx is a %T", c), c.Close())
	}
	return &postgresConn{conn}, nil
}

type postgresConn struct{ *stdlib.Conn }

// QueryContext asks.
func (c *postgresConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) == 0 {
		if text, lifted, ok := lift(query, true); ok {
			query, args = text, lifted
		}
	}
	return c.Conn.QueryContext(ctx, query, args)
}

// ExecContext does.
func (c *postgresConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 {
		if text, lifted, ok := lift(query, true); ok {
			query, args = text, lifted
		}
	}
	return c.Conn.ExecContext(ctx, query, args)
}

// preparingSQLite makes SQLite's connections such ones.
type preparingSQLite struct{ driver.Connector }

// Connect makes a connection.
func (p preparingSQLite) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(wholeConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a connection of SQLite, a %T, lacks a method", c), c.Close())
	}
	return &sqliteConn{wholeConn: conn, byText: map[string]*list.Element{}}, nil
}

// wholeConn is what a connection of SQLite can do.
type wholeConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// wholeStmt is what a prepared statement of SQLite can do.
type wholeStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

const (
	// keptStatements is how many prepared statements a connection keeps.
	keptStatements = 256
	// longestKept is the length of the longest one.
	longestKept = 16 << 10
)

// sqliteConn keeps prepared statements, those used last. database/sql uses a connection from one goroutine at a time.
type sqliteConn struct {
	wholeConn
	used   list.List // of *prepared, newest first; none that is in use
	byText map[string]*list.Element
}

type prepared struct {
	text string
	stmt wholeStmt
}

// QueryContext asks.
func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	text, lifted, ok := lift(query, false)
	if len(args) > 0 || !ok || len(text) > longestKept {
		return c.wholeConn.QueryContext(ctx, query, args)
	}
	p, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := p.stmt.QueryContext(ctx, lifted)
	if err != nil {
		return nil, errors.Join(err, p.stmt.Close())
	}
	typed, ok := rows.(typedRows)
	if !ok {
		return nil, errors.Join(fmt.Errorf("rows of SQLite, a %T, lack a method", rows), rows.Close(), p.stmt.Close())
	}
	return &sqliteRows{typedRows: typed, conn: c, of: p}, nil
}

// ExecContext does.
func (c *sqliteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	text, lifted, ok := lift(query, false)
	if len(args) > 0 || !ok || len(text) > longestKept {
		return c.wholeConn.ExecContext(ctx, query, args)
	}
	p, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := p.stmt.ExecContext(ctx, lifted)
	if err != nil {
		return nil, errors.Join(err, p.stmt.Close())
	}
	return result, c.give(p)
}

// take returns a prepared statement, which is the caller's until it is given back or closed.
func (c *sqliteConn) take(ctx context.Context, text string) (*prepared, error) {
	if e := c.byText[text]; e != nil {
		delete(c.byText, text)
		return c.used.Remove(e).(*prepared), nil
	}
	s, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	stmt, ok := s.(wholeStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a statement of SQLite, a %T, lacks a method", s), s.Close())
	}
	return &prepared{text: text, stmt: stmt}, nil
}

func (c *sqliteConn) give(p *prepared) error {
	if c.byText[p.text] != nil { // two were in use at a time
		return p.stmt.Close()
	}
	c.byText[p.text] = c.used.PushFront(p)
	if c.used.Len() <= keptStatements {
		return nil
	}
	oldest := c.used.Remove(c.used.Back()).(*prepared)
	delete(c.byText, oldest.text)
	return oldest.stmt.Close()
}

// Close ends the connection with its statements.
func (c *sqliteConn) Close() error {
	var errs []error
	for e := c.used.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(*prepared).stmt.Close())
	}
	c.used.Init()
	clear(c.byText)
	return errors.Join(append(errs, c.wholeConn.Close())...)
}

// typedRows are SQLite's.
type typedRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeScanType
	driver.RowsColumnTypeNullable
}

// sqliteRows give their statement back when they end.
type sqliteRows struct {
	typedRows
	conn *sqliteConn
	of   *prepared
}

// Close ends the rows.
func (r *sqliteRows) Close() error {
	if r.of == nil {
		return nil
	}
	p := r.of
	r.of = nil
	if err := r.typedRows.Close(); err != nil {
		return errors.Join(err, p.stmt.Close())
	}
	return r.conn.give(p)
}
