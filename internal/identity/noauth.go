package identity

import "net/http"

// anybody is the administrator of the project that X-Project-Id names, or of the one that a token was got for; of none
// when there is neither. It is what noauth is: quotas do not count.
func (e *Embedded) anybody(r *http.Request) Principal {
	p := Principal{UserID: ID("user", AdminName), ProjectID: r.Header.Get("X-Project-Id"), Roles: []string{"admin"}, NoQuota: true}
	if token := given(r); p.ProjectID == "" && token != "" {
		if s, err := e.Session(r.Context(), token); err == nil && s.Project != nil {
			p.ProjectID = s.Project.ID
		}
	}
	return p
}

// user finds a user by id; with noauth everybody is the administrator.
func (e *Embedded) user(id string) *User {
	u := e.Directory.User(id)
	if u == nil && e.Open {
		return e.Directory.UserNamed(AdminName)
	}
	return u
}

// project finds a project by id, or else by name; with noauth every project is there, under a name that is its id.
func (e *Embedded) project(id, name string) *Project {
	p := e.Directory.Project(id)
	if id == "" {
		p = e.Directory.ProjectNamed(name)
	}
	if p == nil && e.Open {
		if id == "" {
			id = name
		}
		if projectID.MatchString(id) {
			return &Project{ID: id, Name: id}
		}
	}
	return p
}
