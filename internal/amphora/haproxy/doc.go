// Package haproxy turns a desired document into a running HAProxy: it validates, renders, checks with HAProxy itself,
// decides between runtime API and reload, and supervises the process. Only the amphora agent imports it.
package haproxy
