# Keys made, read, given another passphrase; a file that is missing.
needs="ssh-keygen"
stress=20
case_project() { sed -E 's/SHA256:[^ ]*/SHA/'; }
case_run() { pre ssh-keygen -q -t ed25519 -N '' -f key -C c; pre ssh-keygen -lf key.pub; pre ssh-keygen -y -f key | cut -d' ' -f1; pre ssh-keygen -q -t rsa -b 2048 -N pw -f k2 -C c; pre ssh-keygen -p -P pw -N '' -f k2; pre ssh-keygen -y -f nothere; }
