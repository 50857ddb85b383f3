module github.com/nebula-credential/nebula

go 1.26.5
