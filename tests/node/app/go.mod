module lockgate.test/app

go 1.26.0
