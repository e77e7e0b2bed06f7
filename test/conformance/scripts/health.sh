# Health checks: results, and what a container is that nobody watches.
status() { $D inspect -f '{{.State.Health.Status}}' hc; }
becomes() { until [ "$(status)" = "$1" ]; do sleep 0.1; done; status; }
id=$($D run -d --name hc --health-cmd 'echo fine; exit $(cat /code 2>/dev/null || echo 0)' --health-interval 200ms --health-retries 2 busybox sleep 1000)
becomes healthy; $D inspect -f '{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}' hc | head -1
$D ps --filter health=healthy --format '{{.Names}} {{.Status}}' | grep -oE '^hc|\(healthy\)'
$D pause hc; status; $D unpause hc; becomes healthy
$D exec hc sh -c 'echo 7 >/code'; becomes unhealthy; $D inspect -f '{{range .State.Health.Log}}{{println .ExitCode}}{{end}}' hc | grep -m 1 7
$D exec hc rm /code; becomes healthy; $D stop -t 0 hc; status
$D events --since 1h --until -1s --filter "container=$id" --format '{{.Action}}' | grep health
$D rm hc
$D run --rm --health-cmd x --no-healthcheck busybox true 2>&1 | grep -oE 'no-healthcheck conflicts with --health-\* options'
$D run --rm --health-cmd x --health-interval 1us busybox true 2>&1 | grep -oE 'Interval in Healthcheck cannot be less than 1ms'
