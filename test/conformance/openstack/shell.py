"""Runs openstack commands one after the other in one process, since most of the second that one takes is the loading of modules.

Each line of the standard input is a JSON list of arguments, each line of the output a JSON object: status, out, err. An empty list
asks for the names of the load-balancer plugin's commands.
"""

import contextlib
import importlib.metadata
import io
import json
import sys
import time

from openstackclient import shell

sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.05))  # --wait looks every 3 s; the no-op amphorae take a tenth of one
answers = sys.stdout
for line in sys.stdin:
    argv = json.loads(line)
    if not argv:
        points = importlib.metadata.entry_points(group='openstack.load_balancer.v2')
        answer = {'status': 0, 'out': json.dumps(sorted(p.name.replace('_', ' ') for p in points)), 'err': ''}
    else:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = shell.main(argv)
            except SystemExit as e:
                status = e.code
        answer = {'status': int(status or 0), 'out': out.getvalue(), 'err': err.getvalue()}
    answers.write(json.dumps(answer) + '\n')
    answers.flush()
