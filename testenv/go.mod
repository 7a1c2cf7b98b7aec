module github.com/kubetape/kubetape/testenv

go 1.26.0

replace github.com/kubetape/kubetape => ../

require (
	github.com/creack/pty v1.1.24
	github.com/kubetape/kubetape v0.0.0
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.49.0
)

require github.com/klauspost/compress v1.20.3 // indirect
