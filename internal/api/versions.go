package api

import (
	"net/http"
	"strconv"
	"strings"

	"colonnade/internal/api/wire"
)

// minorVersions are the v2.x versions with the day each was published, oldest first; clients compare the list to know
// what a server can do. There is no header to choose one: every server speaks its newest.
var minorVersions = strings.Fields(`
	2016-12-11 2018-04-20 2018-07-31 2018-12-18 2018-12-19 2019-01-21 2019-01-25 2018-01-25T12:00:00Z 2019-02-12 2019-03-04
	2019-03-05 2019-06-24 2019-09-11 2019-09-13 2019-11-10 2020-03-10 2020-03-15 2020-04-29 2020-04-29T01:00:00Z 2020-05-12
	2020-08-02 2020-09-03 2020-09-04 2020-09-07 2020-10-15 2021-10-02 2022-08-29 2023-05-05 2023-11-08 2024-10-15
	2025-02-26`)

type apiVersion struct {
	ID      string      `json:"id"`
	Status  string      `json:"status"`
	Updated string      `json:"updated"`
	Links   []wire.Link `json:"links"`
}

func (s *server) versions(w http.ResponseWriter, r *http.Request) {
	out := make([]apiVersion, len(minorVersions))
	for i, day := range minorVersions {
		if !strings.Contains(day, "T") {
			day += "T00:00:00Z"
		}
		out[i] = apiVersion{
			ID: "v2." + strconv.Itoa(i), Status: "SUPPORTED", Updated: day,
			Links: []wire.Link{{Href: base(r.Context()) + "/v2", Rel: "self"}},
		}
	}
	out[len(out)-1].Status = "CURRENT"
	reply(w, http.StatusOK, map[string]any{"versions": out})
}
