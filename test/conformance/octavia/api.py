"""Runs the API tests of Debian's octavia-tempest-plugin against a running server, with its own users, and no other service.

Usage: api.py COLONNADE REPORT [MODULE[.CLASS[.TEST]] ...]
COLONNADE is the program. REPORT becomes a JSON object: test -> [result, text].
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

PASSWORD = 'correct horse battery staple'
# What the plugin's tests ask for: name -> roles.
USERS = {
    'tempest-admin': ['admin'], 'tempest-primary': ['somebody'], 'tempest-lb-admin': ['load-balancer_admin'],
    'tempest-observer': ['load-balancer_observer', 'reader'], 'tempest-global-observer': ['load-balancer_global_observer', 'reader'],
    'tempest-member-1': ['load-balancer_member'], 'tempest-member-2': ['load-balancer_member'],
}
MODULES = ['amphora', 'availability_zone', 'availability_zone_capabilities', 'availability_zone_profile', 'flavor', 'flavor_capabilities',
           'flavor_profile', 'healthmonitor', 'l7policy', 'l7rule', 'listener', 'load_balancer', 'member', 'pool', 'provider']


def start(program, directory):
    """Starts a server with the users; returns its process and address."""
    hashed = subprocess.run([program, 'password'], input=PASSWORD + '\n', capture_output=True, text=True, check=True).stdout.strip()
    with open(os.path.join(directory, 'colonnade.toml'), 'w') as f:
        f.write('[network]\ndriver = "noop"\n[compute]\ndriver = "noop"\n')
        for name, roles in USERS.items():
            f.write('[[identity.projects]]\nname = "%s"\n[[identity.users]]\nname = "%s"\npassword_hash = "%s"\nroles = { "%s" = %s }\n' % (
                name, name, hashed, name, json.dumps(roles)))
    log = open(os.path.join(directory, 'log'), 'w')
    process = subprocess.Popen([program, 'up', '--config', os.path.join(directory, 'colonnade.toml'), '--state-dir', os.path.join(directory, 'state'),
                                '--listen', '127.0.0.1:0', '--metrics-listen='], stderr=log)
    deadline = time.time() + 60
    while True:
        with open(os.path.join(directory, 'log')) as f:
            said = f.read()
        listens = re.search(r'api listens.* listen=(\S+)', said)
        if listens and 'health role listens' in said:
            return process, 'http://' + listens[1]
        if process.poll() is not None or time.time() > deadline:
            raise SystemExit('the server does not start: ' + said)
        time.sleep(0.05)


def configure(directory, url):
    """Writes what tempest reads: its settings and the users."""
    with open(os.path.join(directory, 'accounts.yaml'), 'w') as f:
        for name, roles in USERS.items():
            f.write('- username: %s\n  project_name: %s\n  password: %s\n  domain_name: Default\n' % (name, name, PASSWORD))
            f.write('  types: [admin]\n' if roles == ['admin'] else '  roles: %s\n' % json.dumps(roles))
    with open(os.path.join(directory, 'tempest.conf'), 'w') as f:
        f.write('''[DEFAULT]
log_file = %(dir)s/tempest.log
[oslo_concurrency]
lock_path = %(dir)s/locks
[auth]
use_dynamic_credentials = false
test_accounts_file = %(dir)s/accounts.yaml
create_isolated_networks = false
admin_username = tempest-admin
admin_project_name = tempest-admin
admin_password = %(password)s
admin_domain_name = Default
default_credentials_domain_name = Default
[identity]
uri_v3 = %(url)s/identity/v3
auth_version = v3
region = RegionOne
default_domain_id = default
[identity-feature-enabled]
api_v2 = false
[network]
project_networks_reachable = true
[service_available]
load_balancer = true
neutron = false
nova = false
glance = false
cinder = false
swift = false
[load_balancer]
test_with_noop = true
provider = amphora
availability_zone = nova
enabled_provider_drivers = amphora:Amphora,octavia:Alias
check_interval = 0.1
build_interval = 0.1
lb_build_interval = 0.1
lb_build_timeout = 60
test_with_ipv6 = true
RBAC_test_type = advanced
[loadbalancer-feature-enabled]
health_monitor_enabled = true
pool_algorithms_enabled = true
l7_protocol_enabled = true
terminated_tls_enabled = false
''' % {'dir': directory, 'url': url, 'password': PASSWORD})
    os.environ['TEMPEST_CONFIG_DIR'], os.environ['TEMPEST_CONFIG'] = directory, 'tempest.conf'


class Result(unittest.TestResult):
    """Keeps what became of each test."""

    def __init__(self):
        super().__init__()
        self.all = {}

    def _say(self, test, result, text=''):
        name = re.sub(r'\[.*', '', test.id()).removeprefix('octavia_tempest_plugin.tests.api.')
        self.all[name] = [result, text]
        if os.environ.get('VERBOSE'):
            print(result, name, text.strip().splitlines()[-1:], flush=True)

    def addSuccess(self, test):
        self._say(test, 'ok')

    def addFailure(self, test, err):
        self._say(test, 'failed', ''.join(traceback.format_exception(*err)))

    addError = addFailure

    def addSkip(self, test, reason):
        self._say(test, 'skipped', reason)


def main():
    directory = tempfile.mkdtemp(prefix='colonnade-tempest-')
    process, url = start(sys.argv[1], directory)
    try:
        configure(directory, url)
        from octavia_tempest_plugin import config as lb_config
        from octavia_tempest_plugin import plugin
        from tempest import config
        assert lb_config
        config.CONF.set_config_path(os.path.join(directory, 'tempest.conf'))
        plugin.OctaviaTempestPlugin().register_opts(config.CONF)
        loader, result, suite = unittest.TestLoader(), Result(), unittest.TestSuite()
        for name in sys.argv[3:] or ['test_' + m for m in MODULES]:
            suite.addTests(loader.loadTestsFromName('octavia_tempest_plugin.tests.api.v2.' + name))
        began = time.time()
        suite.run(result)
        with open(sys.argv[2], 'w') as f:
            json.dump(result.all, f, indent=1, sort_keys=True)
        print(dict(collections.Counter(r[0] for r in result.all.values())), '%.0f s' % (time.time() - began))
    finally:
        process.terminate()
        process.wait(15)
        shutil.rmtree(directory)


main()
