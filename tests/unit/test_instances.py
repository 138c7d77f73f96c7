"""Every instance type of the service model means something, and what is known of it is right."""

import botocore.session
import pytest

from clary.core.errors import ValidationException
from clary.core.instances import Machine, instance_type, resources_for
from clary.core.tasks import Resources

ENUMS = ("TrainingInstanceType", "ProductionVariantInstanceType", "ProcessingInstanceType", "TransformInstanceType")
LAPTOP = Machine(cpus=2, memory_mib=8192)

# Amazon EC2's published figures: vCPUs, GiB, accelerators.
KNOWN = {
    "ml.t2.medium": (2, 4, 0),
    "ml.t2.2xlarge": (8, 32, 0),
    "ml.t3.large": (2, 8, 0),
    "ml.t3.xlarge": (4, 16, 0),
    "ml.c4.large": (2, 3.75, 0),
    "ml.c4.8xlarge": (36, 60, 0),
    "ml.c5.9xlarge": (36, 72, 0),
    "ml.c5.18xlarge": (72, 144, 0),
    "ml.c5n.xlarge": (4, 10.5, 0),
    "ml.c5n.18xlarge": (72, 192, 0),
    "ml.c6g.large": (2, 4, 0),
    "ml.c6i.32xlarge": (128, 256, 0),
    "ml.c7i-flex.16xlarge": (64, 128, 0),
    "ml.c8g.medium": (1, 2, 0),
    "ml.c8i.96xlarge": (384, 768, 0),
    "ml.m4.10xlarge": (40, 160, 0),
    "ml.m4.16xlarge": (64, 256, 0),
    "ml.m5.large": (2, 8, 0),
    "ml.m5.xlarge": (4, 16, 0),
    "ml.m5d.24xlarge": (96, 384, 0),
    "ml.m7i.48xlarge": (192, 768, 0),
    "ml.m8g.medium": (1, 4, 0),
    "ml.r5.large": (2, 16, 0),
    "ml.r5d.24xlarge": (96, 768, 0),
    "ml.r7gd.medium": (1, 8, 0),
    "ml.r8i-flex.4xlarge": (16, 128, 0),
    "ml.g4dn.xlarge": (4, 16, 1),
    "ml.g4dn.12xlarge": (48, 192, 4),
    "ml.g4dn.16xlarge": (64, 256, 1),
    "ml.g5.24xlarge": (96, 384, 4),
    "ml.g5.48xlarge": (192, 768, 8),
    "ml.g5g.16xlarge": (64, 128, 2),
    "ml.g6.12xlarge": (48, 192, 4),
    "ml.g6e.2xlarge": (8, 64, 1),
    "ml.gr6.4xlarge": (16, 128, 1),
    "ml.g7.12xlarge": (48, 192, 2),
    "ml.g7e.24xlarge": (96, 1024, 4),
    "ml.p2.xlarge": (4, 61, 1),
    "ml.p2.16xlarge": (64, 732, 16),
    "ml.p3.2xlarge": (8, 61, 1),
    "ml.p3.8xlarge": (32, 244, 4),
    "ml.p3dn.24xlarge": (96, 768, 8),
    "ml.p4d.24xlarge": (96, 1152, 8),
    "ml.p5.4xlarge": (16, 256, 1),
    "ml.p5.48xlarge": (192, 2048, 8),
    "ml.p6-b300.48xlarge": (192, 4096, 8),
    "ml.p6e-gb200.36xlarge": (144, 960, 4),
    "ml.inf1.6xlarge": (24, 48, 4),
    "ml.inf2.48xlarge": (192, 768, 12),
    "ml.trn1.32xlarge": (128, 512, 16),
    "ml.trn2.48xlarge": (192, 2048, 16),
    "ml.dl1.24xlarge": (96, 768, 8),
}


@pytest.fixture(scope="module")
def names():
    model = botocore.session.get_session().get_service_model("sagemaker")
    return sorted({name for shape in ENUMS for name in model.shape_for(shape).enum})


def test_every_instance_type_of_the_model_is_known(names):
    assert len(names) > 250
    for name in names:
        found = instance_type(name)
        assert found.vcpus > 0, name
        assert found.memory_mib >= 2048, name
        assert (found.gpus > 0) == name.startswith(("ml.g", "ml.p", "ml.inf", "ml.trn", "ml.dl")), name


@pytest.mark.parametrize("name", KNOWN)
def test_figures_are_those_that_aws_publishes(name):
    found = instance_type(name)
    assert (found.vcpus, found.memory_mib / 1024, found.gpus) == KNOWN[name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "m5.xlarge",
        "ml.m5",
        "ml.m5.huge",
        "ml.x9.large",
        "ml.g5.3xlarge",
        "ml.p4d.48xlarge",
        "ml.m5.xlarge\n",
        "LOCAL",
    ],
)
def test_an_unknown_instance_type_is_refused_by_name(name):
    with pytest.raises(ValidationException, match="is not known") as refused:
        instance_type(name)
    assert name in refused.value.message


def test_cpus_and_memory_are_clamped_to_the_machine():
    assert resources_for("ml.m5.24xlarge", LAPTOP) == (Resources(2, 8192), True)
    assert resources_for("ml.c5.large", LAPTOP) == (Resources(2, 4096), False)


def test_gpus_are_never_clamped():
    assert resources_for("ml.p3.8xlarge", LAPTOP)[0].gpus == 4


def test_another_kind_of_accelerator_is_no_gpu():
    resources, _ = resources_for("ml.inf1.xlarge", Machine(64, 1 << 20, gpus=8))
    assert (resources.gpus, resources.accelerator) == (1, "inferentia")
    assert instance_type("ml.trn1.2xlarge").accelerator == "trainium"
    assert instance_type("ml.dl1.24xlarge").accelerator == "gaudi"


def test_local_is_the_whole_machine():
    assert resources_for("local", LAPTOP) == (Resources(2, 0, 0), False)
    assert resources_for("local_gpu", Machine(8, 8192, gpus=2))[0].gpus == 2
    assert resources_for("local_gpu", LAPTOP)[0].gpus == 1  # which the machine does not have: CapacityError, later
