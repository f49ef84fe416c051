<?php
// `/?sleep=1` is a slow request: stop the container while it runs, and it still gets its answer.
$sleep = min(5, (float) ($_GET['sleep'] ?? 0));
usleep((int) ($sleep * 1e6));
header('Content-Type: text/plain');
printf("Hello from PHP %s, worker %d\n", PHP_VERSION, getmypid());
