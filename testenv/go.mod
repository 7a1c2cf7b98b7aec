module github.com/kubetape/kubetape/testenv

go 1.26.0

replace github.com/kubetape/kubetape => ../

require github.com/kubetape/kubetape v0.0.0

require (
	github.com/creack/pty v1.1.24 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
