module github.com/kubetape/kubetape

go 1.26
