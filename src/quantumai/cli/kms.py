"""`qai kms`: keys that never leave their token, what is done with them, and any signature."""

from __future__ import annotations

from quantumai.cli import (
    kms_approvers,
    kms_audit,
    kms_aws,
    kms_doctor,
    kms_key_life,
    kms_keys,
    kms_root,
    kms_serve,
    kms_sign,
    kms_token,
    kms_wrap,
)
from quantumai.cli.options import group

app = group("Keys that never leave their token, and signatures.")
app.add_typer(kms_token.app, name="token")
for turn in (
    kms_key_life.rotate,
    kms_key_life.retire,
    kms_key_life.disable,
    kms_key_life.enable,
    kms_key_life.compromised,
    kms_key_life.destroy,
    kms_key_life.cancel_destroy,
):
    kms_keys.app.command(turn.__name__.replace("_", "-"))(turn)
app.add_typer(kms_keys.app, name="keys")
app.command("sign")(kms_sign.sign)
app.command("verify")(kms_sign.verify)
app.command("wrap")(kms_wrap.wrap)
app.command("unwrap")(kms_wrap.unwrap)
app.add_typer(kms_audit.app, name="audit")
app.command("serve")(kms_serve.serve)
app.add_typer(kms_serve.principals, name="principals")
app.add_typer(kms_aws.app, name="aws-kms")
app.add_typer(kms_root.app, name="root")
app.add_typer(kms_approvers.app, name="approvers")
app.command("doctor")(kms_doctor.doctor)
