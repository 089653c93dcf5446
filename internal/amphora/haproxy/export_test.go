package haproxy

// Internals that tests in haproxy_test look at.
var (
	ProblemsOf     = problemsOf
	ServerState    = serverState
	ParseStat      = parseStat
	ParseProcesses = parseProcesses
)
