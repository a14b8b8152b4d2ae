job "web" {
  group "web" {
    shutdown_delay = "5s" // finds prestop-beside-delay at 22

    task "by-default" {
      driver = "docker"
      env {
        REPRIEVE_GRACE_PERIOD = "6s" # finds differs-from-allowance at 33
      }
    }

    task "given" {
      driver       = "docker"
      kill_timeout = "20s"
      env = {
        REPRIEVE_DELAY        = "19s" # finds does-not-fit at 33
        REPRIEVE_GRACE_PERIOD = "20s"
      }
    }
  }

  group "capped" {
    task "capped" {
      driver       = "docker"
      kill_timeout = "60s"
      config {
        image   = "app"
        command = "/reprieve"
        args    = ["--grace-period", "60s", "app"] # finds differs-from-allowance at 20
      }
    }

    task "not-capped" {
      driver       = "docker"
      kill_timeout = "30s"
      config {
        image   = "app"
        command = "/reprieve"
        args    = ["--grace-period", "30s", "app"]
      }
    }

    task "cannot-be-known" {
      driver       = "docker"
      kill_timeout = var.kill_timeout
      env {
        REPRIEVE_DELAY        = "${var.delay}s"
        REPRIEVE_GRACE_PERIOD = upper("20s")
      }
    }

    task "from-a-template" {
      driver = "docker"
      template {
        data = <<EOF
REPRIEVE_GRACE_PERIOD=5s
EOF
        env  = true
      }
      env {
        REPRIEVE_DELAY = "1s"
      }
    }

    task "sends-sigint" {
      driver       = "exec" # finds stop-signal at 22
      env {
        REPRIEVE_GRACE_PERIOD = "5s"
      }
    }

    task "as-much-as-the-cap" {
      driver       = "docker"
      kill_timeout = "30s"
      env {
        REPRIEVE_GRACE_PERIOD = "30s"
      }
    }

    task "more-than-the-cap" {
      driver       = "docker"
      kill_timeout = "31s"
      env {
        REPRIEVE_GRACE_PERIOD = "31s" # finds differs-from-allowance at 33
      }
    }

    task "sends-sigterm" {
      driver       = "exec"
      kill_signal  = "SIGTERM"
      env {
        REPRIEVE_GRACE_PERIOD = "5s"
      }
    }
  }
}
