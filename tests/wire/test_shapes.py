from clary.wire.shapes import SERVICES, Services
from clary.wire.validate import Validator


def test_the_targets_are_the_models():
    for name, target in SERVICES.items():
        service = Services().named(name)
        assert (service.protocol, service.target) == (("json", target) if target else ("query", ""))


def test_a_service_is_found_by_its_target():
    assert Services().by_target("Logs_20140328").name == "logs"
    assert Services().by_target("") is None
    assert Services().by_target("Nothing") is None


def test_every_shape_of_every_operation_compiles():
    for name in SERVICES:
        service = Services().named(name)
        validator = Validator(service)
        for operation in service.operations.values():
            for shape in filter(None, (operation.input, operation.output)):
                validator.node(shape)


def test_documentation_is_left_out_but_members_of_that_name_stay():
    shapes = Services().named("sagemaker").shapes
    assert not any(isinstance(shape.get("documentation"), str) for shape in shapes.values())
    assert len(Services().named("sagemaker").operations) == 425


def test_this_machine_is_an_instance_type_wherever_there_are_instance_types():
    shapes = Services().named("sagemaker").shapes
    with_ml = [shape["enum"] for shape in shapes.values() if any(v.startswith("ml.") for v in shape.get("enum", ()))]
    assert len(with_ml) >= 9
    assert all({"local", "local_gpu"} <= set(enum) for enum in with_ml)
