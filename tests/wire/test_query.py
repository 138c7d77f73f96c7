import pytest

from clary.core.errors import SerializationException
from clary.wire import query
from clary.wire.shapes import Services

IAM = Services().named("iam")


def read(operation, form):
    return query.read(IAM, IAM.operations[operation], query.parse(form))


def test_lists_structures_and_numbers_come_out_as_their_shapes():
    assert read(
        "SimulatePrincipalPolicy",
        "Action=SimulatePrincipalPolicy&PolicySourceArn=arn%3Aaws&ActionNames.member.2=b&ActionNames.member.10=c&"
        "ActionNames.member.1=a&MaxItems=7&ContextEntries.member.1.ContextKeyName=k&ResourceArns=&Unknown.x=1",
    ) == {
        "PolicySourceArn": "arn:aws",
        "ActionNames": ["a", "b", "c"],
        "MaxItems": 7,
        "ContextEntries": [{"ContextKeyName": "k"}],
        "ResourceArns": [],
    }


def test_what_does_not_fit_its_type_is_left_for_the_validator():
    assert read("ListRoles", "MaxItems=seven") == {"MaxItems": "seven"}
    assert read("UpdateAccountPasswordPolicy", "RequireSymbols=true&RequireNumbers=maybe") == {
        "RequireSymbols": True,
        "RequireNumbers": "maybe",
    }


@pytest.mark.parametrize(
    "form",
    [
        "A=1&A=2",
        "ActionNames.member.x=a",
        "ActionNames.member=a",
        "ActionNames=a&ActionNames.member.1=b",
        "ActionNames.member.1=a&ActionNames=b",
        "A=%ff",
        "&".join(f"a{i}=1" for i in range(20_000)),
        "ActionNames.member.1" + ".x" * 5000 + "=1&ActionNames.member.y=1",
    ],
)
def test_a_malformed_form_is_refused(form):
    with pytest.raises(SerializationException):
        read("SimulatePrincipalPolicy", form)
